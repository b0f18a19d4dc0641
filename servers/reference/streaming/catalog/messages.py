"""Titles of the data file as the contract's messages."""

from __future__ import annotations

from google.type import date_pb2

from acme.streaming.catalog.v1 import catalog_pb2 as pb
from reference.streaming.dataset.titles import Title


def message(title: Title) -> pb.Title:
    """A title on the wire."""
    made = pb.Title(
        title_id=title.title_id,
        type=pb.TITLE_TYPE_SERIES if title.series else pb.TITLE_TYPE_MOVIE,
        display_name=title.name,
        directors=title.directors,
        actors=title.actors,
        countries=title.countries,
        genres=title.genres,
        release_year=title.year,
        rating=title.rating,
        minimum_age=title.minimum_age,
        runtime_minutes=title.minutes,
        seasons=title.seasons,
    )
    if title.added is not None:
        day = title.added
        made.add_date.CopyFrom(date_pb2.Date(year=day.year, month=day.month, day=day.day))
    return made
