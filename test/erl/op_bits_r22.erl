%% op_bits_r22 - op_bits.inc as OTP 22 compiles it.
-module(op_bits_r22).
-compile([r22, no_bs_create_bin]).
-include("op_bits.inc").
