"""Who acts and what they may do: principals and roles, passwords, session tokens, addresses, limits. No database."""
