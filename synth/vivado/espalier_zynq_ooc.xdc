# The IP by itself (out of context): its clock, and what of a cycle its AXI ports may take. In a design the
# clock is whatever drives aclk, and these lines are not read.
create_clock -name aclk -period 10.000 [get_ports aclk]

# Ports stand at registers of the interconnect: 40 % of the cycle on the way to and from them.
set_input_delay -clock aclk -max 4.000 [get_ports {s_axi_* m_axi_*} -filter {DIRECTION == IN}]
set_input_delay -clock aclk -min 0.000 [get_ports {s_axi_* m_axi_*} -filter {DIRECTION == IN}]
set_output_delay -clock aclk -max 4.000 [get_ports {s_axi_* m_axi_*} -filter {DIRECTION == OUT}]
set_output_delay -clock aclk -min 0.000 [get_ports {s_axi_* m_axi_*} -filter {DIRECTION == OUT}]

# aresetn comes from a register of the same clock and is checked as any input; the interrupt is asynchronous.
set_input_delay -clock aclk 4.000 [get_ports aresetn]
set_false_path -to [get_ports irq]
