"""Everything outside /services/data: OAuth, identity, SOAP login, and the sessions they open."""
