"""DiffBIR: restore first, then let a latent diffusion model add detail."""
