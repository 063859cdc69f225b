%% op_basic_r23 - op_basic.inc as OTP 23 compiles it.
-module(op_basic_r23).
-compile([r23, no_make_fun3]).
-include("op_basic.inc").
