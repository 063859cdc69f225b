%% op_basic_r24 - op_basic.inc as OTP 24 compiles it.
-module(op_basic_r24).
-compile([r24, no_make_fun3]).
-include("op_basic.inc").
