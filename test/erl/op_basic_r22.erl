%% op_basic_r22 - op_basic.inc as OTP 22 compiles it.
-module(op_basic_r22).
-compile([r22, no_make_fun3]).
-include("op_basic.inc").
