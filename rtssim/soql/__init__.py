"""SOQL: a parser, and a planner that translates it into SQL over the org's database."""
