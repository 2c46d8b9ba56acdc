// In a trusted workspace, where the editor's own agent is switched on: it is offered the tools of `modstar mcp`.
'use strict';
const { assert, command, until, vscode } = require('./looking');

exports['the agent of the editor can search by meaning'] = async () => {
  await until('the extension', () => vscode.extensions.getExtension('modstar.modstar')?.isActive);
  const tool = await until('the tool', async () => {
    await command('workbench.mcp.startServer', '*', { waitForLiveTools: true });
    return vscode.lm.tools.find(({ name }) => name.includes('modstar') && name.endsWith('search'));
  });
  const input = { query: 'try again what could not be uploaded' };
  const { content } = await vscode.lm.invokeTool(tool.name, { input, toolInvocationToken: undefined });
  assert.match(content.map(({ value }) => value).join(''), /upload\.py/);
};
