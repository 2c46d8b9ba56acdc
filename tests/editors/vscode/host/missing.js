// Without a server anywhere.
'use strict';
const { assert, command, information, until, vscode } = require('./looking');

exports['the state is told, and that it is missing'] = async () => {
  await until('the extension', () => vscode.extensions.getExtension('modstar.modstar')?.isActive);
  const { text } = await until('the state', async () => {
    const seen = await information();
    return seen.text.includes('server: missing') ? seen : undefined;
  });
  assert.match(text, /program: none/);
};

exports['the install command can be copied'] = async () => {
  await command('modstar.copyInstallCommand');
  assert.strictEqual(await vscode.env.clipboard.readText(), 'pip install ~/src/modstar');
};

exports['no command throws at the user'] = async () => {
  for (const name of ['findSimilar', 'pauseIndexing', 'resumeIndexing', 'rebuildIndex', 'results.refresh', 'showLogs']) {
    await command(`modstar.${name}`);
  }
};
