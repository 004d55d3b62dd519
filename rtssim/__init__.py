"""An org that behaves like Salesforce, over real HTTP; shares no code with the rest of rtsd."""
