;;; modstar.el --- Find code by what it does  -*- lexical-binding: t -*-

;; SPDX-License-Identifier: Apache-2.0
;; Version: 0.1.0
;; Package-Requires: ((emacs "28.1"))
;; Keywords: tools, convenience

;;; Commentary:

;; `modstar-search' answers a sentence with the functions it is about, `modstar-similar' a piece of code with others
;; like it, in the order of their rank, in the *xref* buffer or whatever `xref-show-xrefs-function' names.
;;
;; It talks to its own `modstar-lsp' for each project, beside the language server that Eglot or lsp-mode runs there:
;; Eglot allows one server for a buffer, and that place is better taken by the one that knows the language.

;;; Code:

(require 'cl-lib)
(require 'jsonrpc)
(require 'project)
(require 'subr-x)
(require 'url-util)
(require 'xref)

(defgroup modstar nil "Find code by what it does." :group 'tools)

(defcustom modstar-command '("modstar-lsp")
  "The language server and its arguments."
  :type '(repeat string))

(defcustom modstar-settings nil
  "The server's settings as a property list, for example (:search (:limit 30))."
  :type 'plist)

(defcustom modstar-timeout 30
  "Seconds to wait for an answer."
  :type 'number)

(defcustom modstar-live-hits 8
  "How many hits to show below the prompt while a question is typed; 0 shows none."
  :type 'natnum)

(defcustom modstar-live-delay 0.2
  "Seconds without a key after which what was typed so far is asked."
  :type 'number)

(defvar modstar-history nil "The questions of this session, the last one first.")

(defvar modstar--connections nil "Alist of a project's folder and the connection to its server.")

(cl-defstruct modstar--place "Where a hit is; its group is its own, so that the order of ranks stays."
  file line column group)

(cl-defmethod xref-location-group ((place modstar--place)) (modstar--place-group place))
(cl-defmethod xref-location-line ((place modstar--place)) (modstar--place-line place))
(cl-defmethod xref-location-marker ((place modstar--place))
  (with-current-buffer (find-file-noselect (modstar--place-file place))
    (save-restriction
      (widen)
      (save-excursion
        (goto-char (point-min))
        (forward-line (1- (modstar--place-line place)))
        (forward-char (min (modstar--place-column place) (- (line-end-position) (point))))
        (point-marker)))))

(defun modstar--uri (path)
  "The file: URI of PATH."
  (concat "file://" (url-hexify-string (expand-file-name path) url-path-allowed-chars)))

(defun modstar--path (uri)
  "The path that the file: URI names."
  (decode-coding-string (url-unhex-string (string-remove-prefix "file://" uri)) 'utf-8))

(defun modstar--root ()
  "The folder of the current project."
  (let ((project (project-current)))
    (unless project (user-error "Modstar: no project here"))
    (expand-file-name (project-root project))))

(defun modstar--connect (root)
  "The running server of ROOT, started when there is none."
  (let ((known (cdr (assoc root modstar--connections))))
    (if (and known (jsonrpc-running-p known))
        known
      (unless (executable-find (car modstar-command))
        (user-error "Modstar: %s is not installed: run `pip install ~/src/modstar', or set `modstar-command'"
                    (car modstar-command)))
      (let ((connection
             (jsonrpc-process-connection
              :name "modstar"
              :process (let ((default-directory root))
                         (make-process :name "modstar" :command modstar-command :connection-type 'pipe
                                       :coding 'utf-8-emacs-unix :noquery t
                                       :stderr (get-buffer-create " *modstar stderr*")))
              :notification-dispatcher #'ignore
              :request-dispatcher #'ignore)))
        (jsonrpc-request
         connection :initialize
         (list :processId (emacs-pid)
               :rootUri (modstar--uri root)
               :workspaceFolders (vector (list :uri (modstar--uri root)
                                               :name (file-name-nondirectory (directory-file-name root))))
               ;; Emacs counts characters, and so does UTF-32.
               :capabilities '(:general (:positionEncodings ["utf-32"]))
               :initializationOptions (append '(:trusted t)
                                              (and modstar-settings (list :settings modstar-settings))))
         :timeout modstar-timeout)
        (jsonrpc-notify connection :initialized (make-hash-table))
        (setf (alist-get root modstar--connections nil nil #'equal) connection)))))

(defun modstar--unsaved (root)
  "The buffers with changes that are not saved, of files below ROOT."
  (cl-remove-if-not (lambda (buffer)
                      (and (buffer-modified-p buffer) (buffer-file-name buffer)
                           (string-prefix-p root (expand-file-name (buffer-file-name buffer)))))
                    (buffer-list)))

(defun modstar--request (method params)
  "The answer to METHOD with PARAMS, all buffers counting as they stand."
  (let* ((root (modstar--root))
         (connection (modstar--connect root))
         (unsaved (modstar--unsaved root)))
    (dolist (buffer unsaved)
      (with-current-buffer buffer
        (jsonrpc-notify connection :textDocument/didOpen
                        (list :textDocument
                              (list :uri (modstar--uri buffer-file-name) :version 0 :languageId ""
                                    :text (save-restriction (widen) (buffer-substring-no-properties 1 (point-max))))))))
    (unwind-protect
        (jsonrpc-request connection method params :timeout modstar-timeout)
      (dolist (buffer unsaved)
        (jsonrpc-notify connection :textDocument/didClose
                        (list :textDocument (list :uri (modstar--uri (buffer-file-name buffer)))))))))

(defun modstar--xref (hit)
  "The xref item for HIT."
  (let* ((start (plist-get (plist-get hit :selectionRange) :start))
         (symbol (plist-get hit :symbol))
         (line (1+ (plist-get start :line)))
         (snippet (plist-get hit :snippet))
         (code (nth (- (1- line) (plist-get snippet :startLine)) (split-string (plist-get snippet :text) "\n"))))
    (xref-make (format "%s  %s" (if (string-empty-p symbol) (plist-get hit :kind) symbol)
                       (string-trim (or code "")))
               (make-modstar--place
                :file (modstar--path (plist-get hit :uri)) :line line :column (plist-get start :character)
                :group (format "%2d. %.2f %s" (plist-get hit :rank) (plist-get hit :score) (plist-get hit :path))))))

(defun modstar--show (answer)
  "Show the hits of ANSWER in the order of their rank, or say that there are none."
  (let* ((closest (plist-get answer :closest))
         (hits (append (plist-get answer :hits) nil))
         (shown (mapcar #'modstar--xref (or hits (and closest (list closest))))))
    (if shown
        (progn
          (xref-push-marker-stack)
          (funcall xref-show-xrefs-function (lambda () shown) `((window . ,(selected-window)))))
      (user-error "Modstar: %s" (or (plist-get answer :message) "nothing found")))
    (when (plist-get answer :message)
      (message "Modstar: %s" (plist-get answer :message)))))

(defun modstar--live-line (hit)
  "HIT in one line: what tells most first, since a narrow frame cuts off the end."
  (let ((symbol (plist-get hit :symbol)))
    (format "%.2f  %s:%d  %s" (plist-get hit :score) (plist-get hit :path)
            (1+ (plist-get (plist-get (plist-get hit :selectionRange) :start) :line))
            (if (string-empty-p symbol) (plist-get hit :kind) symbol))))

(defun modstar--live-answer (answer)
  "What stands below the prompt for ANSWER."
  (let ((lines (mapcar #'modstar--live-line (plist-get answer :hits))))
    (propertize (concat "\n" (string-join (or lines (list (or (plist-get answer :message) "nothing found"))) "\n"))
                'face 'shadow 'cursor t)))

(defun modstar--live (connection)
  "Have the minibuffer show what CONNECTION answers to what was typed so far."
  (let ((minibuffer (current-buffer))
        (overlay (make-overlay (point-max) (point-max) nil t t))
        (asked "") timer)
    (cl-labels
        ((typed () (with-current-buffer minibuffer (string-trim (minibuffer-contents-no-properties))))
         (show (text)
           (when (overlay-buffer overlay)
             (with-current-buffer minibuffer (move-overlay overlay (point-max) (point-max)))
             (overlay-put overlay 'after-string text)))
         (ask ()
           (let ((query (typed)))
             (cond
              ((equal query asked))
              ((string-empty-p query) (setq asked query) (show ""))
              (t (setq asked query)
                 (jsonrpc-async-request
                  connection :modstar/search (list :query query :limit modstar-live-hits :snippetLines 1)
                  ;; An answer to what has been changed since is out of date.
                  :success-fn (lambda (answer) (when (equal query asked) (show (modstar--live-answer answer))))
                  :error-fn #'ignore :timeout-fn #'ignore :timeout modstar-timeout))))))
      (add-hook 'post-command-hook
                (lambda ()
                  (when timer (cancel-timer timer))
                  (setq timer (run-with-idle-timer modstar-live-delay nil #'ask)))
                nil t)
      (add-hook 'minibuffer-exit-hook
                (lambda ()
                  (when timer (cancel-timer timer))
                  (delete-overlay overlay))
                nil t))))

(defun modstar--read-question ()
  "A question from the minibuffer, which shows the best hits while it is typed."
  (let ((connection (modstar--connect (modstar--root)))
        (symbol (thing-at-point 'symbol t)))
    (minibuffer-with-setup-hook
        (lambda () (when (> modstar-live-hits 0) (modstar--live connection)))
      (read-string (format "Search code by meaning (%sM-p: earlier): " (if symbol (format "default %s, " symbol) ""))
                   nil 'modstar-history symbol))))

;;;###autoload
(defun modstar-search (query)
  "Show the code that answers QUERY, a sentence or a name, best.
While it is typed the best hits are shown below the prompt, where
`previous-history-element' brings back the questions before."
  (interactive (list (modstar--read-question)))
  (modstar--show (modstar--request :modstar/search (list :query query))))

(defun modstar--position (point)
  "POINT as the server counts."
  (save-excursion
    (save-restriction
      (widen)
      (goto-char point)
      (list :line (1- (line-number-at-pos)) :character (- (point) (line-beginning-position))))))

;;;###autoload
(defun modstar-similar ()
  "Show code like that in the region, or like the definition at point."
  (interactive)
  (unless buffer-file-name (user-error "Modstar: this buffer has no file"))
  (modstar--show
   (modstar--request
    :modstar/similar
    (append (list :textDocument (list :uri (modstar--uri buffer-file-name)))
            (if (use-region-p)
                (list :range (list :start (modstar--position (region-beginning))
                                   :end (modstar--position (region-end))))
              (list :position (modstar--position (point))))))))

;;;###autoload
(defun modstar-status ()
  "Say what is known of the current project."
  (interactive)
  (let* ((status (modstar--request :modstar/status (make-hash-table)))
         (coverage (plist-get (aref (plist-get status :folders) 0) :coverage)))
    (message "modstar %s: %s, %d of %d files, %d chunks" (plist-get status :version) (plist-get coverage :state)
             (plist-get coverage :indexed) (plist-get coverage :files) (plist-get coverage :chunks))))

(defun modstar--execute (command done)
  "Have the server of the project carry out COMMAND, and say that it is DONE."
  (modstar--request :workspace/executeCommand (list :command command :arguments []))
  (message "Modstar: %s" done))

;;;###autoload
(defun modstar-pause ()
  "Stop all background work in the current project; searches go on."
  (interactive)
  (modstar--execute "modstar.pause" "indexing is paused; `modstar-resume' goes on with it"))

;;;###autoload
(defun modstar-resume ()
  "Go on with what `modstar-pause' stopped."
  (interactive)
  (modstar--execute "modstar.resume" "indexing goes on"))

;;;###autoload
(defun modstar-reindex ()
  "Index the current project anew."
  (interactive)
  (modstar--execute "modstar.reindex" "indexing anew"))

;;;###autoload
(defun modstar-clear ()
  "Delete the index of the current project, and pause."
  (interactive)
  (modstar--execute "modstar.clear" "the index is deleted, and indexing paused; `modstar-resume' makes it anew"))

;;;###autoload
(defun modstar-stop ()
  "Stop all servers; the next search starts one again."
  (interactive)
  (dolist (known modstar--connections)
    (when (jsonrpc-running-p (cdr known))
      (jsonrpc-request (cdr known) :shutdown nil :timeout 3)
      (jsonrpc-notify (cdr known) :exit nil)))
  (setq modstar--connections nil))

(provide 'modstar)
;;; modstar.el ends here
