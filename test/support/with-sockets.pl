# Makes sockets that Node can't make, and goes on as the command given, which inherits them:
#
#   perl with-sockets.pl COMMAND …
#
# XSK_FD in its environment is an AF_XDP socket with a receive ring, REUSEPORT_FD a UDP socket in a reuseport group. Perl, because
# every Debian has it.
use strict;
use warnings;
use Socket;

# <linux/if_xdp.h>, <asm-generic/socket.h>
use constant { AF_XDP => 44, SOL_XDP => 283, XDP_RX_RING => 2, SO_REUSEPORT => 15 };

$^F = 1 << 20;    # descriptors below it survive exec

socket(my $xsk, AF_XDP, SOCK_RAW, 0) or die "socket(AF_XDP): $!\n";
setsockopt($xsk, SOL_XDP, XDP_RX_RING, pack('I', 64)) or die "XDP_RX_RING: $!\n";

socket(my $udp, AF_INET, SOCK_DGRAM, 0) or die "socket(AF_INET): $!\n";
setsockopt($udp, SOL_SOCKET, SO_REUSEPORT, pack('i', 1)) or die "SO_REUSEPORT: $!\n";
bind($udp, sockaddr_in(0, INADDR_LOOPBACK)) or die "bind: $!\n";

$ENV{XSK_FD} = fileno($xsk);
$ENV{REUSEPORT_FD} = fileno($udp);
exec { $ARGV[0] } @ARGV or die "$ARGV[0]: $!\n";
