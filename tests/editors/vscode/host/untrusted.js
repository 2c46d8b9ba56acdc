// In a workspace that is not trusted, and whose settings name programs of its own.
'use strict';
const fs = require('fs');
const path = require('path');
const { assert, command, information, processes, until, vscode } = require('./looking');

const folder = () => vscode.workspace.workspaceFolders[0].uri.fsPath;

exports['the server runs, but indexes nothing'] = async () => {
  assert.strictEqual(vscode.workspace.isTrusted, false);
  const { status } = await until('a status', async () => {
    const seen = await information();
    const state = seen.status?.folders[0]?.coverage.state;
    return state && state !== 'starting' ? seen : undefined;
  });
  assert.strictEqual(status.trusted, false);
  assert.strictEqual(status.folders[0].coverage.state, 'off');
  assert.strictEqual(processes('modstar').length, 1);
};

exports['no program of the workspace was started'] = async () => {
  assert.match((await information()).text, /found by the PATH/);
  assert(!fs.existsSync(path.join(folder(), 'ran')), 'the workspace chose the program');
};

exports['the workspace cannot allow its own indexing'] = async () => {
  assert.strictEqual((await information()).status.settings.index.untrusted, 'off');
};

exports['the user can'] = async () => {
  const settings = vscode.workspace.getConfiguration('modstar');
  await settings.update('index.untrusted', 'temporary', vscode.ConfigurationTarget.Global);
  const { folders } = await until('an index', async () => {
    const { status } = await information();
    return status.folders[0].coverage.share === 1 ? status : undefined;
  });
  assert(fs.existsSync(folders[0].indexFolder));
  await settings.update('index.untrusted', undefined, vscode.ConfigurationTarget.Global);
  await command('modstar.restart');
  await until('the end of the temporary index', () => !fs.existsSync(folders[0].indexFolder));
};
