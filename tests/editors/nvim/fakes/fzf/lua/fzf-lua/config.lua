return { globals = { actions = { files = { enter = 'edit' } } } }
