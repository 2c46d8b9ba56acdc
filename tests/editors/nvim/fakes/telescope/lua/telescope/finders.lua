return {
  new_table = function(options)
    return setmetatable({}, {
      __call = function(_, _, process_result, process_complete)
        for index, result in ipairs(options.results) do
          local entry = options.entry_maker(result)
          entry.index = index
          process_result(entry)
        end
        process_complete()
      end,
    })
  end,
}
