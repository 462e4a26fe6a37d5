"""The NetServ lab: networks of namespaces on one machine, with NetServ nodes, traffic and scenarios in them."""
