"""What is drawn, judged; and the judges."""
