# Constraints of the Zynq design that its IPs do not bring along. The clock is FCLK_CLK0, which the
# processing system's own constraints define, with the pins of DDR and FIXED_IO; no other pins are used.

# The processing system's reset is asynchronous and ends in proc_sys_reset's synchroniser. What leaves that is
# not excepted: the machine's registers must leave reset in the same cycle, so its recovery is checked.
set_false_path -quiet -from [get_pins -quiet -hierarchical -filter {REF_PIN_NAME =~ FCLKRESETN*}]

# The interrupt ends in the processing system, which synchronises it.
set_false_path -quiet -to [get_pins -quiet -hierarchical -filter {REF_PIN_NAME =~ IRQF2P*}]

# Nothing of the design drives I/O pins of the fabric; a smaller file loads faster.
set_property BITSTREAM.GENERAL.COMPRESS TRUE [current_design]
