%% op_bits - op_bits.inc.
-module(op_bits).
-include("op_bits.inc").
