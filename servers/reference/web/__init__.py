"""What the organization's web pages share: a base app, sign-in at acme.identity, safe defaults.

- `app.Site`: headers, static files, the base template with dark mode, pages for errors.
- `login.Login`: signs people in by authorization code with PKCE, and keeps what they hold here: a
  browser has one `__Host-` cookie and no token.
"""
