"""What tests share: real parts started once, cheap fresh databases, waiting for conditions."""
