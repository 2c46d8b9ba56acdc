// Ticks the steps of the walkthrough when what they are about has been done.
import * as vscode from 'vscode';

const WALKTHROUGH = 'modstar.modstar#start';

export type Step = 'install' | 'search' | 'similar' | 'status';

const ticked = new Set<Step>();

/**
 * VS Code sees only what happens while its page is open, and takes no notice of what was true before: the steps would
 * stay open for somebody who has done it all. The command is VS Code's own, but not documented: where it is missing the
 * page ticks as it does by itself.
 */
export function tick(step: Step): void {
  if (ticked.has(step)) return;
  ticked.add(step);
  void Promise.resolve(vscode.commands.executeCommand('welcome.markStepComplete', `${WALKTHROUGH}#${step}`)).catch(() => undefined);
}
