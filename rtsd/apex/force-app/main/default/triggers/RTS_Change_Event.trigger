trigger RTS_Change_Event on RTS_Change__e (after insert) {{{note}}
    RTS_Relay.run(Trigger.new);
}
