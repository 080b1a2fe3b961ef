"""Asset checks: those implied by the table declarations, and the hand-written ones that matter."""
