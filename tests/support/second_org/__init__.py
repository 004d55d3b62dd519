"""A second org: written from Salesforce's documents alone, sharing nothing with rtsd or its simulator.

Where Salesforce leaves room, it behaves otherwise than one would expect: what works against one org
only by luck fails here. `Habits` holds what a test may choose.
"""
