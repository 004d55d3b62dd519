"""Events from Salesforce's bus: rtsd subscribes by the Pub/Sub API, so that nothing has to reach it.

Needs the extra `rtsd[stream]`.
"""
