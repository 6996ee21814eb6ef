"""Who is responsible when, and how each is reached: people, teams, rotas."""
