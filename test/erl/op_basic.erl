%% op_basic - op_basic.inc.
-module(op_basic).
-include("op_basic.inc").
