"""The door Salesforce calls: signed pushes, taken durably."""
