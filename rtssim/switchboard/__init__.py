"""The /_sim API by which tests, benchmarks and the demo control the org; none of it exists at Salesforce."""
