module holdfast/traefik

go 1.22
