"""What tests stand on: rigs, other ends of the wire, and helpers.

`waiting`, `clocks`     conditions instead of pauses; clocks that tests move
`full_disk`             a database without room to grow
`inprocess`             a daemon's parts in this process, on a clock that a test moves
`processes`             org and daemon as real processes, and those who push to them
`faults`                machines, disks and steps of the store, to be broken
`salesforce`            a scripted org for the adapter, and the target of foreign clients
`rtssim`                calls to the simulated org, and short ways to its rows
`second_org`            another org, written from Salesforce's documents alone
`installation`          an org, and the configuration of an rtsd that does not run
`dashboard`             rtstui on a fake daemon, and what that one says
`apex`                  analysers and rules of the package's source
`cli`, `configuration`  the command line's other end; a configuration that works
"""
