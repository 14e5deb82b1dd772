# Constraints of the Zynq design that its IPs do not bring along. The clock is FCLK_CLK0, which the
# processing system's own constraints define, with the pins of DDR and FIXED_IO; no other pins are used.
# The interrupt ends in the processing system, which synchronises it.

# Nothing of the design drives I/O pins of the fabric; a smaller file loads faster.
set_property BITSTREAM.GENERAL.COMPRESS TRUE [current_design]
