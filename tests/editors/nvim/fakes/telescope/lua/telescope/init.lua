-- A thin stand-in for nvim-telescope/telescope.nvim: it keeps what a picker was made of, in `opened`.
return {
  register_extension = function(extension)
    return extension
  end,
}
