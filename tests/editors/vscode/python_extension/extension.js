// Stands in for the Python extension, which comes from a marketplace: the part of its interface that is used, and its
// command to select an interpreter. MODSTAR_INTERPRETERS names those that there are; the first is selected.
'use strict';
const vscode = require('vscode');

exports.activate = ({ subscriptions }) => {
  const interpreters = process.env.MODSTAR_INTERPRETERS.split(':');
  let [path] = interpreters;
  const changed = new vscode.EventEmitter();
  subscriptions.push(vscode.commands.registerCommand('python.setInterpreter', async () => {
    path = (await vscode.window.showQuickPick(interpreters, { placeHolder: 'Select Interpreter' })) ?? path;
    changed.fire({ path });
  }));
  return {
    environments: {
      getActiveEnvironmentPath: () => ({ path }),
      resolveEnvironment: async (environment) => ({ executable: { uri: vscode.Uri.file(environment.path) } }),
      onDidChangeActiveEnvironmentPath: changed.event,
    },
  };
};
