"""One small file a language, with the constructs whose names and scopes the tests look for."""

from __future__ import annotations

SAMPLES: dict[str, str] = {
    "a.py": '''"""A module."""
import os

LIMIT = 3
first, second = 1, 2


# Explains the class.
@decorate(1)
class Client(Base):
    """Talks."""

    timeout: int = 5

    @property
    async def name(self) -> str:
        return "x"

    # Sends.
    def send(self, request,
             **kwargs):
        def inner():
            return 1
        return inner()


if os.name == "nt":
    def windows():
        pass
else:
    def windows():
        return None

handler = lambda event: event
''',
    "a.js": """import a from 'b';

/** Doc. */
export default class Client extends Base {
  retries = 3;
  onDone = () => { return 1; };
  constructor(url) { super(); }
  static async send(x) { return x; }
  get name() { return 1; }
}

const add = (a, b) => a + b;
export const LIMIT = 3, double = function (x) { return 2 * x; };
function* walk() { yield 1; }
Client.prototype.close = function () {};
exports.open = () => 1;
const routes = {
  home() { return 1; },
  about: (x) => x,
  title: 'x',
};
(function () {
  function hidden() { return 1; }
})();
describe('client', () => {
  it('sends', () => { expect(1); });
});
""",
    "a.ts": """import { x } from 'y';

@Injectable()
export class Service<T> implements Api {
  private size: number = 1;
  @Log() async load(id?: string): Promise<void> {}
}

export interface Api { id: string; load(): Promise<void>; }
export type Id = string | number;
export enum Color { Red, Green }
export abstract class Shape { abstract area(): number; }
declare module 'lib' { function helper(): void; }
namespace Tools { export function hammer() {} }
export function over(a: string): void;
export function over(a: any) { return a; }
export const useThing = <T,>(a: T) => a;
""",
    "a.tsx": """export const Button: React.FC<Props> = ({ label }) => {
  return <button className="x">{label}</button>;
};

export function App() {
  return <Button label="a" />;
}
""",
    "A.java": """package a.b;

import java.util.List;

/** Doc. */
@Foo
public class Client<T> extends Base {
  private int size = 1, count;
  public Client(int a) { }
  @Override
  public <R> R send(int a) throws Exception { return null; }
  enum Color { RED, GREEN; int code() { return 1; } }
  interface Sink { void put(); }
  record Point(int x, int y) { }
}
""",
    "a.kt": """package a.b

import c.d

/** Doc. */
@Foo
class Client<T>(val url: String) : Base() {
    val size = 1

    companion object {
        const val LIMIT = 3
        fun create() = Client("x")
    }

    fun send(a: Int): Int {
        return 1
    }
}

object Registry {
    fun find() {}
}

enum class Color { RED, GREEN }
typealias Id = Int
fun String.shout(): String = this
interface Sink { fun put() }
val top by lazy { 1 }
""",
    "a.go": """package a

import "fmt"

// Limit is a limit.
const Limit = 3

var (
	first  = 1
	second = 2
)

// Client talks.
type Client struct {
	url string
}

type (
	ID   int
	Sink interface{ Put() }
)

// Send sends.
func (c *Client) Send(a int) error {
	return nil
}

func (l List[T]) Len() int { return 0 }

func New() *Client { return &Client{} }
""",
    "a.rs": """use a::b;

/// Doc.
#[derive(Debug)]
pub struct Client<T> {
    url: T,
}

impl<T> Sink<T> for Client<T> where T: X {
    const LIMIT: i32 = 1;
    type Out = T;
    /// Sends.
    pub fn send(&self) -> i32 { 1 }
}

impl net::Other {
    fn open() {}
}

pub trait Sink { fn put(&self); fn flush(&self) {} }
pub enum Color { Red, Green }
mod inner {
    pub fn hidden() {}
}
macro_rules! shout { () => {} }
type Id = i32;
static TOP: i32 = 1;
fn main() {}
""",
    "a.c": """#include <stdio.h>
#define LIMIT 3
#define DOUBLE(x) ((x) * 2)

typedef struct { int a; } point_t;

struct client {
  int fd;
};

enum color { RED, GREEN };
typedef int (*callback)(int);

int prototype(int a);
static const char *names[] = {"a"};

/* Sends. */
static int *send_all(struct client *c, int a) {
  return 0;
}

#ifdef WIN
void windows(void) {}
#endif
""",
    "a.cpp": """#include <x>

namespace net::http {

// Doc.
template <typename T>
class Client : public Base {
 public:
  Client(int a) : a_(a) {}
  ~Client();
  int send(int a) const { return 1; }
  bool operator==(const Client& o) const { return true; }

 private:
  int a_;
};

int Client::size(int a) { return 1; }

template <typename T>
auto make(T t) -> int { return 1; }

using Id = int;
enum class Color { Red };
struct Point { int x; };

}  // namespace net::http

extern "C" {
int plain(int a);
}
""",
    "a.cs": """using System;

namespace Net.Http
{
    /// <summary>Doc.</summary>
    [Serializable]
    public class Client<T> : Base where T : X
    {
        private int size = 1;
        public int Count { get; set; }
        public Client(int a) { }
        public static Client<T> operator +(Client<T> a, Client<T> b) { return a; }
        public async Task<int> Send<R>(int a) { return 1; }
        enum Color { Red, Green }
    }

    public record Point(int X);
    public interface ISink { void Put(); }
    public delegate void Done(int a);
}
""",
    "a.rb": """require 'x'

module Net
  LIMIT = 3

  # Doc.
  class Client < Base
    attr_accessor :url

    def send(a)
      a
    end

    def self.create
      new
    end

    class << self
      def build; end
    end

    private

    def valid?
      true
    end
  end
end

RSpec.describe Net do
  it "sends" do
    expect(1).to eq(1)
  end
end
""",
    "a.php": """<?php

namespace App\\Net;

use Foo\\Bar;

/** Doc. */
#[Attr]
abstract class Client extends Base
{
    use Loud;

    const LIMIT = 1;
    public $url = 2;

    public function send(int $a): int
    {
        return 1;
    }
}

interface Sink { public function put(); }
trait Loud { function shout() {} }
enum Color: string { case Red = 'r'; }
function helper() {}
""",
    "a.swift": """import Foo

/// Doc.
@objc public class Client: Base {
    var url = 1
    init(a: Int) {}
    deinit {}
    func send(to b: Int) -> Int { return 1 }
    subscript(i: Int) -> Int { 1 }
}

extension Net.Client: Sink {
    func put() {}
}

protocol Sink { func put() }
struct Point { let x: Int }
enum Color { case red, green }
func top() {}
typealias Id = Int
actor Worker { func run() {} }
""",
    "a.scala": """package a.b

import c.d

/** Doc. */
case class Client(url: String) extends Base {
  val size = 1
  def send[T](a: Int): Int = { 1 }
  type Id = Int
}

object Client {
  def apply(a: Int) = new Client("x")
}

trait Sink { def put: Int }
given ordering: Ord[Int] with { def compare = 1 }
enum Color { case Red, Green }
def top(x: Int) = 1
""",
    "a.lua": """local M = {}

-- Doc.
function M.open(a) return 1 end
function M:send(b) return 2 end
local function hidden() end
M.close = function(x) return x end
local handler = function() end
M.limit = 3
M.routes = { home = function() end, title = 'x' }

return M
""",
    "a.sh": """#!/bin/bash
# Doc.
send() {
  echo "$1"
}
function receive {
  cat
}
LIMIT=3
export NAME=x
send a
""",
    "A.hs": """{-# LANGUAGE X #-}
module A.B (send) where

import Data.List

-- | Doc.
send :: Int -> Int
send 0 = 1
send n = go n
  where go = id

limit = 3

data Color = Red | Green { code :: Int } deriving Show
newtype Id = Id Int
type Name = String

class Sink a where
  put :: a -> Int
  put _ = 1

instance Sink Int where
  -- plainly
  put x = x

a +++ b = a
send' x = x
""",
    "a.ex": """defmodule Net.Client do
  @moduledoc "Talks."
  use Foo
  @limit 3

  @doc "Sends."
  @spec send(integer) :: integer
  def send(x) when x > 0, do: x
  def send(_), do: 0

  defp valid?(x) do
    x
  end

  defmacro shout, do: 1

  defimpl Sink, for: Integer do
    def put(a), do: a
  end
end

defmodule Net.ClientTest do
  test "sends", %{} do
    assert true
  end
end
""",
    "a.zig": """const std = @import("std");

/// Doc.
pub const Client = struct {
    url: []const u8,

    pub fn send(self: Client) void {
        _ = self;
    }
};

pub const Color = enum { red, green };
pub fn main() !void {}
fn List(comptime T: type) type {
    return struct { x: T };
}
var top: u8 = 3;
test "sends" {
    const local = 1;
    _ = local;
}
""",
    "a.dart": """import 'dart:io';

const limit = 3;

/// Talks.
class Client<T> extends Base with Mix implements Sink {
  final int size = 1;
  Client(this.size);
  Client.named(int a) : size = a;
  factory Client.make() => Client(1);
  int get area => size;
  set area(int a) {}
  @override
  Future<void> send(int a) async {
    int inner(int x) => x;
    await go(inner(a));
  }
  static int count() => 1;
  bool operator ==(Object other) => true;
}

mixin Mix on Base { void mixed() {} }
extension Shout on String { String shout() => this; }
enum Color { red, green }
abstract class Sink { void put(); }
typedef Done = void Function(int);
int top(int a) => a;
void main() {
  top(1);
}
""",
    "a.jl": '''module Net

using Base

"Talks."
struct Client <: Base
    url::String
    size::Int
end

mutable struct Point
    x
end

abstract type Sink end

const LIMIT = 3

"""
Sends.
"""
function send(c::Client, a::Int)
    inner(x) = x + 1
    return inner(a)
end

area(x) = x * 2
Base.show(io::IO, c::Client) = print(io, c.url)

macro once(e)
    e
end

end
''',
    "Makefile": """# The compiler.
CC := gcc
LIMIT = 3

.PHONY: all clean

# Builds.
all: main.o util.o
	$(CC) -o app $^

%.o: %.c
	$(CC) -c $<

define send
echo $(1)
endef

ifdef DEBUG
debug: all
	./app
endif
clean:
	rm -f app
""",
    "a.nix": """# A package.
{ pkgs, lib, ... }:
let
  limit = 3;
  # Builds.
  build = name: version: pkgs.stdenv.mkDerivation {
    pname = name;
    inherit version;
  };
in
{
  options.client = lib.mkOption {
    default = limit;
  };
  services.web.enable = true;
  send = a: b: a + b;
}
""",
    "a.m": """#import <Foundation/Foundation.h>

NS_ASSUME_NONNULL_BEGIN

/// Talks.
@interface Client : NSObject <Sink>
@property (nonatomic) int size;
- (void)send:(int)a to:(NSString *)b;
+ (instancetype)create;
@end

@protocol Sink
- (void)put;
@end

@implementation Client {
  int _fd;
}
// Sends.
- (void)send:(int)a to:(NSString *)b {
  [self put];
}
+ (instancetype)create {
  return [[self alloc] init];
}
@end

@interface Client (Extra)
- (void)more;
@end

typedef NS_ENUM(NSInteger, Color) { ColorRed, ColorGreen };
static int helper(int a) { return a; }
""",
    "a.ml": """(* Sends things. *)
open Printf

let limit = 10

(** A client. *)
type client = { url : string; mutable fd : int }

type color = Red | Green of int
and id = int

exception Refused of string

(** Sends [x]. *)
let send (c : client) x =
  let inner y = y + 1 in
  inner x

let rec even n = n = 0 || odd (n - 1)
and odd n = n <> 0 && even (n - 1)

let ( +++ ) a b = a ^ b
let handler = function 0 -> 1 | n -> n
let pair = fun a b -> (a, b)
let a, b = 1, 2
let () = print_endline "main"
external now : unit -> float = "caml_now"

module Net = struct
  let port = 80

  (* Opens. *)
  let open_it host = host

  module Inner = struct
    let deep x = x
  end
end

module type SINK = sig
  type t
  val put : t -> int -> unit
end

module Make (S : SINK) : SINK = struct
  let put x = x
end

class point x = object (self)
  val mutable size = x
  method move d = size <- size + d
  inherit base
end

class type shape = object
  method area : float
end

include Base

let%test "adds" = send 1 = 2
[@@deprecated "no"]
""",
    "a.mli": """(** A client. *)
type client

val send : client -> int -> int
(** Sends. *)

module Net : sig
  val port : int
end
exception Refused of string
""",
    "a.ps1": """# The limit.
$Limit = 3

<# Sends. #>
function Send-Client {
    param([int]$A)
    return $A
}

class Client {
    [int]$Size
    Client([int]$a) { $this.Size = $a }
    [int] Send([int]$a) { return $a }
}

enum Color {
    Red
    Green
}

filter Get-Odd { $_ }
Send-Client 3
""",
    "a.sol": """// SPDX-License-Identifier: MIT
pragma solidity ^0.8.0;

import "./Base.sol";

/// Talks.
contract Client is Base {
  uint256 public size = 1;
  event Sent(address to);
  error Refused(uint code);
  enum Color { Red, Green }
  struct Point { uint x; }
  modifier onlyOwner() { _; }
  constructor(uint a) { size = a; }
  /// Sends.
  function send(uint a) public onlyOwner returns (uint) { return a; }
  receive() external payable { }
}

interface Sink { function put(uint a) external; }
library Tools { function hammer() internal { } }
function free(uint a) pure returns (uint) { return a; }
uint constant LIMIT = 3;
""",
    "a.sql": """-- The clients.
CREATE TABLE public.client (
  id INTEGER PRIMARY KEY,
  url TEXT NOT NULL
);

CREATE INDEX client_url ON client (url);

CREATE VIEW busy AS
SELECT * FROM client WHERE id > 3;

-- Sends.
CREATE OR REPLACE FUNCTION send(a INTEGER) RETURNS INTEGER AS $$
BEGIN
  RETURN a;
END;
$$ LANGUAGE plpgsql;

CREATE TRIGGER audit AFTER INSERT ON client FOR EACH ROW EXECUTE FUNCTION send();

CREATE TYPE color AS ENUM ('red', 'green');

ALTER TABLE client ADD COLUMN size INTEGER;
INSERT INTO client (id) VALUES (1);
SELECT id FROM client;
""",
    "a.tf": """# The region.
variable "region" {
  type    = string
  default = "eu"
}

locals {
  limit = 3
}

/* The bucket. */
resource "aws_s3_bucket" "logs" {
  bucket = "logs-${var.region}"
  versioning {
    enabled = true
  }
}

module "net" {
  source = "./net"
}

output "bucket" {
  value = aws_s3_bucket.logs.id
}
""",
}
