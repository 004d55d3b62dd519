"""What we ask of Salesforce: sessions, REST, Bulk API 2.0, describes."""
