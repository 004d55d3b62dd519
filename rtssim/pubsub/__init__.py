"""The Pub/Sub API on gRPC; needs grpcio, protobuf and fastavro."""
