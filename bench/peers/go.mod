module oci-connector/bench/peers

go 1.25
