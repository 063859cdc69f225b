%% op_bits_r24 - op_bits.inc as OTP 24 compiles it.
-module(op_bits_r24).
-compile([r24, no_bs_create_bin]).
-include("op_bits.inc").
