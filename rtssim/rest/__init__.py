"""Resources below /services/data/vNN.0, one module per resource."""
