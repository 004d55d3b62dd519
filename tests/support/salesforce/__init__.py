"""The other end of the Salesforce adapter, and what foreign clients call."""
