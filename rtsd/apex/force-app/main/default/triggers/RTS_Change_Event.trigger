trigger RTS_Change_Event on RTS_Change__e (after insert) {
    RTS_Relay.run(Trigger.new);
}
