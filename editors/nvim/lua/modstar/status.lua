-- A server's status in words: for the statusline, for :Modstar status and for :checkhealth.
local M = {}

-- Of several folders the statusline shows the one that says most.
local WEIGHT = { failed = 7, starting = 6, indexing = 5, paused = 4, deepening = 3, off = 2, ready = 1 }

local function percent(share)
  return ('%d %%'):format(math.floor((share or 0) * 100))
end

local function state_in_words(coverage)
  local state = coverage.state
  if state == 'indexing' then
    return ('indexing %s'):format(percent(coverage.share))
  elseif state == 'deepening' then
    return ('ready, answers get better: %s'):format(percent(coverage.deepened))
  end
  return state
end

---One or a few words: "modstar", "modstar: indexing 40 %".
---@param status? table as modstar/status has it; nil before the first one came
---@return string
function M.short(status)
  local shown
  for _, folder in ipairs(status and status.folders or {}) do
    local coverage = folder.coverage
    if not shown or (WEIGHT[coverage.state] or 0) > (WEIGHT[shown.state] or 0) then
      shown = coverage
    end
  end
  if not status then
    return 'modstar: starting'
  elseif status.paused then
    return 'modstar: paused'
  elseif not shown or shown.state == 'ready' then
    return 'modstar'
  end
  return 'modstar: ' .. state_in_words(shown)
end

local function bytes(count)
  return count and ('%.1f MB'):format(count / 1e6) or '?'
end

---@param status table result of modstar/status
---@return string[]
function M.lines(status)
  local exits = table.concat(vim.tbl_map(tostring, status.model.exits or {}), ', ')
  local lines = {
    ('modstar %s, model %s (exits %s), memory %s%s'):format(
      status.version,
      status.model.name,
      exits,
      bytes(status.memory and status.memory.rss),
      status.paused and ', paused' or ''
    ),
  }
  for _, folder in ipairs(status.folders or {}) do
    local coverage = folder.coverage
    lines[#lines + 1] = ('%s: %s, %d of %d files, %d chunks, index %s in %s%s'):format(
      vim.fn.fnamemodify(folder.name, ':t'), -- Neovim names a folder by its path
      state_in_words(coverage),
      coverage.indexed or 0,
      coverage.files or 0,
      coverage.chunks or 0,
      bytes(folder.bytes),
      vim.fn.fnamemodify(folder.indexFolder or '?', ':~'),
      folder.message and folder.message ~= '' and (' - ' .. folder.message) or ''
    )
  end
  if #(status.folders or {}) == 0 then
    lines[#lines + 1] = 'no folder is open'
  end
  for _, problem in ipairs(status.problems or {}) do
    lines[#lines + 1] = 'settings: ' .. problem
  end
  return lines
end

return M
