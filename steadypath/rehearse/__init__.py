"""`steadypath rehearse`: the real services on simulated time, to see every text of a plan before anybody gets one."""
