"""The HTTP endpoint that Salesforce calls: receives signed pushes and stores them durably."""
