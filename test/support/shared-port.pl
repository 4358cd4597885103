# Opens a datagram socket that shares its port, and becomes a command with the descriptor and the port as its last arguments.
# perl shared-port.pl COMMAND ...
use strict;
use warnings;
use Socket qw(:all);

# Descriptors up to this one stay open across exec().
$^F = 100;
socket(my $socket, AF_INET, SOCK_DGRAM, 0) or die "socket: $!";
setsockopt($socket, SOL_SOCKET, SO_REUSEPORT, 1) or die "setsockopt: $!";
bind($socket, pack_sockaddr_in(0, INADDR_LOOPBACK)) or die "bind: $!";
my ($port) = unpack_sockaddr_in(getsockname($socket));
exec(@ARGV, fileno($socket), $port) or die "exec: $!";
