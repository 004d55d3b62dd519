trigger RTS_Synced_Field on RTS_Synced_Field__c (after insert, after update, after delete, after undelete) {
    RTS_Conditions.run();
}
