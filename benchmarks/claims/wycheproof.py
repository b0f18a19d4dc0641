"""Project Wycheproof's JSON Web Signature vectors, judged by the signature layer of tokens."""

from claims import Measurement
from tokens.wycheproof import REFUSED, SAME, vectors


def measure(quick: bool) -> Measurement:
    """Counts vectors judged otherwise than a careful verifier judges them; all of them, always."""
    judged = [(vector, vector.accepted()) for vector in vectors()]
    wrong = [vector for vector, accepted in judged if accepted is not vector.acceptable]
    return Measurement(
        len(wrong),
        {
            "sample": f"{len(judged)} vectors" + (" (all)" if quick else ""),
            "invalid": sum(not vector.valid for vector, _ in judged),
            "accepted": sum(accepted for _, accepted in judged),
            "refused though called valid": {str(number): why for number, why in REFUSED.items()},
            "called invalid, though byte for byte a vector that is called valid": {
                str(number): f"the same token and key as {other}" for number, other in SAME.items()
            },
            "wrong": [f"{vector.number}: {vector.comment}" for vector in wrong],
        },
    )
