-- A dead letter of a delivery stays while it is sent again: both are looked up by the id of the delivery.
CREATE INDEX _rts_dead_letter_delivery ON _rts_dead_letter (webhook_id) WHERE kind = 'delivery';
CREATE INDEX _rts_outbox_pending ON _rts_outbox (webhook_id) WHERE done_at IS NULL;
